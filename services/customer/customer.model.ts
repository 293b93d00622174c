import {
  DataTypes,
  type InferAttributes,
  type InferCreationAttributes,
  type Model,
  type ModelStatic,
  type Sequelize,
} from "sequelize";
import type { CustomerStatus } from "../../lib/contracts.ts";

/** Customers for filtered reads. The table is the migrations'. */
export interface CustomerModel
  extends Model<InferAttributes<CustomerModel>, InferCreationAttributes<CustomerModel>> {
  id: string;
  name: string;
  email: string;
  status: CustomerStatus;
  createdAt: Date;
  updatedAt: Date;
}

export function defineCustomerModel(sequelize: Sequelize): ModelStatic<CustomerModel> {
  return sequelize.define<CustomerModel>(
    "customer",
    {
      id: { type: DataTypes.UUID, primaryKey: true },
      name: { type: DataTypes.TEXT },
      email: { type: DataTypes.TEXT },
      status: { type: DataTypes.TEXT },
      createdAt: { type: DataTypes.DATE, field: "created_at" },
      updatedAt: { type: DataTypes.DATE, field: "updated_at" },
    },
    { tableName: "customers", timestamps: false },
  );
}
